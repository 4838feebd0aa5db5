"""How the demo model is made: `python -m demo.training`."""
