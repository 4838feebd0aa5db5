"""What `make` calls: finding a ComfyUI, setting up the environment, the demo, the tests. No part of the node pack."""
