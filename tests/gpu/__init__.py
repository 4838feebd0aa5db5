"""What only a GPU can tell: precision, memory and time at real sizes, the host's offload modes."""
