"""Small probes on frozen features: trained together, chosen on validation."""
