"""A real Kubernetes for the tests, made from Go modules and Debian packages: no container engine, no prebuilt binaries.

Nothing here knows the product; the tests in tests/cluster, tests/e2e and tests/bench use it through the fixtures.
"""
