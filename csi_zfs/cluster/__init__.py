"""What the driver asks of a Kubernetes cluster's API; the one room that knows its client."""
