"""Programs that put figures to what the project promises; benchmarks/README.md says which, and how to read them."""
