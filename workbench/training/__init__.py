"""The loop and what it is made of. A profile goes in, a run directory comes out."""
