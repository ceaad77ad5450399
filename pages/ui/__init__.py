"""What pages share: state, parts, forms, the live chart."""
