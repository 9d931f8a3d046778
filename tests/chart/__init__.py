"""The Helm chart: what it renders, what it refuses, what it may do in a cluster."""
