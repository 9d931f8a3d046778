"""A real Kubernetes cluster on this machine: every program of it built once, started in seconds."""
