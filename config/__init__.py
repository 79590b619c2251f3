"""What operations may change: settings from the environment, and YAML read into the types of decisions/."""
