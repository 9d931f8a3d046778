"""Figures of the driver on a real Kubernetes cluster: `make bench-cluster`."""
