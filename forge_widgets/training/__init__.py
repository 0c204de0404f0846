"""What training code touches: hooks, run, track. It records into a store, and never slows, blocks or ends a training."""
