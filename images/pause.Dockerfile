# The process that holds a pod's namespaces: Debian's static catatonit, which reaps and waits.
FROM scratch
COPY catatonit /pause
ENTRYPOINT ["/pause", "-P"]
