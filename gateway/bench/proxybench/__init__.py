"""The proxy benchmark: nginx, HAProxy, pingora and the gateway, measured beside each other."""
