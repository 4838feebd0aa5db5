"""Edits of real photos, measured: TEdBench and PIE-Bench, read as they are published."""
