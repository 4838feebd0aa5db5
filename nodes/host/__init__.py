"""The only package that imports ComfyUI: host objects in, plain tensors and a `Denoiser` out, and back."""
