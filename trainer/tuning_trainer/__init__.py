"""The shared PyTorch trainer: reads its settings and parameters, trains, and reports through `tuning_trial`.

`config` knows every setting and imports no torch; `data`, `models`, `optim` and `metrics` each turn one section of the
settings into the thing it names; `engine` runs them. A new data set, model, optimiser or loss is a settings class and a
builder.
"""
