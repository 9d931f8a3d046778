"""What can be said of the Helm chart without Helm."""
