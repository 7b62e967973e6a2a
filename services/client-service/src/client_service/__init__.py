"""client-service: client master data, from the first lead to a proper termination."""
