"""Lays the example workflows out for people, and makes their thumbnails by running them."""
