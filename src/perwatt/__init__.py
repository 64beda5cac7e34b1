"""perwatt measures, predicts and routes intelligence per watt."""

__version__ = "0.1.0"
