"""How robust networks become under augmentation policies: experiments as TOML files."""
