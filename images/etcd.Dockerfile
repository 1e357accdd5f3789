# An etcd release as upstream's image has it: three programs, no shell. The context is a folder with the three.
FROM scratch
COPY etcd etcdctl etcdutl /usr/local/bin/
ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
WORKDIR /var/etcd/
WORKDIR /var/lib/etcd/
WORKDIR /
EXPOSE 2379 2380
ENTRYPOINT ["/usr/local/bin/etcd"]
