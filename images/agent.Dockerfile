# The agent and the launcher: one static program, nothing else. The context is a folder that holds it.
FROM scratch
COPY --chown=65532:65532 etcd-agent /etcd-agent
USER 65532:65532
# `kubectl exec POD -c agent -- etcd-agent status` finds it.
ENV PATH=/
ENTRYPOINT ["/etcd-agent"]
