// The in-memory mock driver of Kubernetes' own storage tests behind a unix socket. It does nothing, so it is the floor of
// what gRPC costs.
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"google.golang.org/grpc"
	"k8s.io/kubernetes/test/e2e/storage/drivers/csi-test/driver"
	"k8s.io/kubernetes/test/e2e/storage/drivers/csi-test/mock/service"
)

var changing sync.Mutex

// oneChangeAtATime lets calls that only look pass through. The mock looks a thing up under one lock and removes it under
// another: two deletes at once end its process.
func oneChangeAtATime(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if strings.Contains(info.FullMethod, "/Create") || strings.Contains(info.FullMethod, "/Delete") {
		changing.Lock()
		defer changing.Unlock()
	}
	return handler(ctx, request)
}

func main() {
	endpoint := flag.String("endpoint", "", "path of the unix socket to make")
	flag.Parse()
	listener, err := net.Listen("unix", *endpoint)
	if err != nil {
		log.Fatal(err)
	}
	mock := service.New(service.Config{DriverName: "mock.csi", EnableTopology: true, AttachLimit: 2})
	server := driver.NewCSIDriver(&driver.CSIDriverServers{Controller: mock, Identity: mock, Node: mock})
	if err := server.Start(listener, oneChangeAtATime); err != nil {
		log.Fatal(err)
	}
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, os.Interrupt, syscall.SIGTERM)
	<-stopped
	server.Stop()
}
