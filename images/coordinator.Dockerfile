# The coordinator: one static program, nothing else. The context is a folder that holds it.
FROM scratch
COPY --chown=65532:65532 etcd-coordinator /etcd-coordinator
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/etcd-coordinator"]
