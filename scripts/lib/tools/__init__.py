"""What demo, bench and torture share: pictures, servers, and `runner` driven from outside."""
