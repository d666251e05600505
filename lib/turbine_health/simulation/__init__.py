"""A fleet of wind turbines with known degradation, failures and dirt; see docs/simulation.md."""
