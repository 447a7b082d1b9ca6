"""Every measured number in the README, one command each."""
