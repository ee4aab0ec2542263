"""The ingress process: a real reverse proxy with the retry rules of the lab's nginx."""
