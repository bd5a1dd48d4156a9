"""Which sizes `scripts/bench all` asks its questions in."""

# About 15 minutes on two cores, and about an hour and a half, in the order of the docs.
SIZES = {
    "quick": {
        "download": ["--urls", "20000"],
        "latency": ["--seconds", "2", "--rounds", "3"],
        "tls": ["--urls", "1000", "--rounds", "3"],
        "hosts": ["--urls", "5000", "--rounds", "1"],
        "scale": ["--sizes", "1e4", "1e5"],
        "hash": ["--images", "4000", "--rounds", "3"],
        "dedup": ["--hashes", "1e6", "--rounds", "1"],
        "export": ["--images", "5000", "--rounds", "3"],
        "dataset": ["--images", "5000", "--peer-images", "2000"],
        "read": ["--images", "5000", "--rounds", "3"],
    },
    "full": {
        "download": [],
        "latency": [],
        "tls": [],
        "hosts": [],
        "scale": [],
        "hash": [],
        "dedup": [],
        "export": [],
        "dataset": [],
        "read": [],
    },
}
