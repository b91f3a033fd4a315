"""Kubernetes-native hyperparameter tuning: one `TuningStudy`, its trials as plain Jobs, the best in its status."""
