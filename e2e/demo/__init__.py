"""The demo: a volume's whole life, driven through the driver's socket as Kubernetes would."""
