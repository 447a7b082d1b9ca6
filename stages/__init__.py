"""One thin script per DVC stage: read typed parameters, call one library function, write outputs."""
