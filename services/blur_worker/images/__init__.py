"""The use cases of the queues of images: claim, fetch, blur, store."""
