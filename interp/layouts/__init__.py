"""From a foreign state dict to a net of ours: one file a layout."""
