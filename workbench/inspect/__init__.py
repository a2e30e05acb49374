"""What a network is made of: parameters and multiply-accumulates."""
