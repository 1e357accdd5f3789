// versitygw with nothing but its posix backend, so that it builds sooner: an S3 server whose buckets are folders.
//
//	versitygw FOLDER ADDRESS [CERTIFICATE KEY]
//
// Buckets are the folders in FOLDER/buckets, and what is said of objects stands in FOLDER/meta. The only user's keys come
// from the environment.
package main

import (
	"context"
	"errors"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func serve(ctx context.Context, args []string) error {
	if len(args) != 2 && len(args) != 4 {
		return errors.New("usage: versitygw FOLDER ADDRESS [CERTIFICATE KEY]")
	}
	buckets, words := filepath.Join(args[0], "buckets"), filepath.Join(args[0], "meta")
	// Beside the objects: not every file system has extended attributes.
	sidecar, err := meta.NewSideCar(words)
	if err != nil {
		return err
	}
	backend, err := posix.New(buckets, sidecar, posix.PosixOpts{SideCarDir: words})
	if err != nil {
		return err
	}
	config := &embedgw.Config{
		RootUserAccess:    os.Getenv("STORE_ACCESS_KEY"),
		RootUserSecret:    os.Getenv("STORE_SECRET_KEY"),
		Ports:             args[1:2],
		MaxConnections:    1000,
		MaxRequests:       1000,
		MultipartMaxParts: 10000,
		KeepAlive:         true,
		Quiet:             true,
	}
	if len(args) == 4 {
		config.CertFile, config.KeyFile = args[2], args[3]
	}
	return embedgw.RunVersityGW(ctx, backend, config)
}
