"""How the flow model is made: `python -m demo.training.flow`."""
