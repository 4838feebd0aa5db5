"""Batches for real: manifests of made-up photos, on every engine, with workers killed."""
