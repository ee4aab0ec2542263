// The server of bench/openloop.py: cheap enough that what is measured is the client, also at 4000 requests a second over
// TLS, where load/faultserver.py (Python) gives up. It speaks that server's JSON lines, and has three of its failure modes.
//
// usage: server [CERT KEY]
// stdin:  {"windows": [{"at": s, "for": s, "mode": "refuse" | "http-503" | "stall"}, ...]}; its end ends the server
// stdout: {"ready": port}; for each window {"truth": mode, "start_ns": .., "end_ns": .., "drained_ns": ..} on
// CLOCK_MONOTONIC. A stall ends twice: when answers are no longer held, and when the last held one has been written;
// what comes in between waits behind the held ones.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

const body = `{"version": "v1", "padding": "................................................"}`

var (
	good        atomic.Pointer[[]byte] // the answer, with the Date of this second
	bad         = []byte("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
	failing     atomic.Pointer[window] // the window that is open now, or nil
	mutex       sync.Mutex
	connections = map[net.Conn]bool{}
	tlsConfig   *tls.Config
)

type window struct {
	At   float64 `json:"at"`
	For  float64 `json:"for"`
	Mode string  `json:"mode"`
	over chan struct{}

	held    sync.WaitGroup
	drained atomic.Int64
}

func main() {
	if len(os.Args) == 3 {
		certificate, err := tls.LoadX509KeyPair(os.Args[1], os.Args[2])
		check(err)
		tlsConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"http/1.1"}}
	}
	setDate()
	go func() {
		for range time.Tick(time.Second) {
			setDate()
		}
	}()
	listener := listen(0)
	port := listener.Addr().(*net.TCPAddr).Port
	fmt.Printf("{\"ready\": %d}\n", port)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var command struct{ Windows []*window }
		check(json.Unmarshal(lines.Bytes(), &command))
		begun := time.Now()
		for _, one := range command.Windows {
			time.Sleep(time.Until(begun.Add(seconds(one.At))))
			start, end := openWindow(one, &listener, port)
			one.held.Wait()
			fmt.Printf("{\"truth\": %q, \"start_ns\": %d, \"end_ns\": %d, \"drained_ns\": %d}\n",
				one.Mode, start, end, max(end, one.drained.Load()))
		}
	}
}

// openWindow fails for its time and returns when it began and ended. Nothing spins: a window may be 1 ms longer than it
// was asked to be, but the two stamps are taken where it begins and ends.
func openWindow(one *window, listener *net.Listener, port int) (start, end int64) {
	if one.Mode == "refuse" {
		(*listener).Close()
		start = now()
		mutex.Lock()
		for connection := range connections {
			connection.(*net.TCPConn).SetLinger(0)
			connection.Close()
		}
		mutex.Unlock()
		time.Sleep(seconds(one.For))
		*listener = listen(port)
		return start, now()
	}
	one.over = make(chan struct{})
	failing.Store(one)
	start = now()
	time.Sleep(seconds(one.For))
	failing.Store(nil)
	end = now()
	close(one.over)
	return start, end
}

func listen(port int) net.Listener {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	check(err)
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(connection)
		}
	}()
	return listener
}

func serve(connection net.Conn) {
	mutex.Lock()
	connections[connection] = true
	mutex.Unlock()
	defer func() {
		mutex.Lock()
		delete(connections, connection)
		mutex.Unlock()
		connection.Close()
	}()
	stream := connection
	if tlsConfig != nil {
		stream = tls.Server(connection, tlsConfig)
	}
	buffer, filled := make([]byte, 4096), 0
	for {
		n, err := stream.Read(buffer[filled:])
		if err != nil || filled+n == len(buffer) {
			return
		}
		filled += n
		if !bytes.HasSuffix(buffer[:filled], []byte("\r\n\r\n")) { // requests without a body, one at a time
			continue
		}
		filled = 0
		answer, one := *good.Load(), failing.Load()
		holds := one != nil && one.Mode == "stall"
		if holds {
			one.held.Add(1)
			<-one.over
			answer = *good.Load()
		} else if one != nil {
			answer = bad
		}
		_, err = stream.Write(answer)
		if holds {
			one.drained.Store(now())
			one.held.Done()
		}
		if err != nil {
			return
		}
	}
}

func setDate() {
	text := fmt.Sprintf("HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Type: application/json\r\nX-Version: v1\r\n"+
		"X-Served-By: bench\r\nContent-Length: %d\r\n\r\n%s", time.Now().UTC().Format(time.RFC1123), len(body), body)
	answer := []byte(text)
	good.Store(&answer)
}

func now() int64 {
	var moment syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, 1, uintptr(unsafe.Pointer(&moment)), 0)
	return moment.Nano()
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func check(err error) {
	if err != nil {
		panic(err)
	}
}
