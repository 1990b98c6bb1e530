"""A small service behind edge-claims. README.md tells what each module shows."""
