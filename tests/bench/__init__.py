"""The readers of TEdBench and PIE-Bench on made-up miniatures of their layouts."""
