"""cnn-workbench: a terminal workbench for learning and comparing image-classification networks."""

__version__ = "0.1.0"
