// Load for etcd and ZooKeeper: as many clients as wanted, each with a connection of its
// own, each asking again as soon as it is answered. Prints one JSON object.
//
// Built without modules, against the etcd client that Debian packages:
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go build -o load .
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A connection that puts values under keys.
type client interface {
	put(key int, value []byte) error
}

const (
	warmUp int32 = iota
	measured
	over
)

// What one client saw: how long each answer took.
type seen struct {
	times  []time.Duration
	errors int
}

type result struct {
	Clients    int     `json:"clients"`
	Operations int     `json:"operations"`
	Errors     int     `json:"errors"`
	Throughput float64 `json:"throughput"`
	P50        int64   `json:"p50"`
	P90        int64   `json:"p90"`
	P99        int64   `json:"p99"`
	P999       int64   `json:"p999"`
	Max        int64   `json:"max"`
	// Of all servers and the clients together, for each operation.
	CPUMicros float64 `json:"cpu_us_per_operation"`
	// The most that any server ever had.
	PeakMemory int64 `json:"peak_memory_bytes"`
}

func main() {
	system := flag.String("system", "etcd", "etcd or zookeeper")
	servers := flag.String("servers", "", "host:port, separated by commas")
	clients := flag.Int("clients", 16, "how many clients")
	keys := flag.Int("keys", 10000, "how many keys")
	valueBytes := flag.Int("value-bytes", 100, "the size of values")
	warmUpTime := flag.Duration("warm-up", 3*time.Second, "how long the load runs before it is measured")
	seconds := flag.Duration("seconds", 10*time.Second, "how long is measured")
	pids := flag.String("pids", "", "the servers' processes, separated by commas")
	summary := flag.String("summary", "", "print the table of the measurements in this file, and end")
	flag.Parse()
	if *summary != "" {
		summarise(*summary)
		return
	}
	addresses := strings.Split(*servers, ",")

	connections := make([]client, *clients)
	for i := range connections {
		connection, err := connect(*system, addresses, i)
		if err != nil {
			fail("client %d cannot connect: %v", i, err)
		}
		connections[i] = connection
	}
	if *system == "zookeeper" {
		if err := createAll(addresses, *keys); err != nil {
			fail("the keys cannot be made: %v", err)
		}
	}

	var stage int32
	all := make([]seen, *clients)
	var running sync.WaitGroup
	for i := range connections {
		running.Add(1)
		go func(i int) {
			defer running.Done()
			random := rand.New(rand.NewSource(int64(i)))
			value := make([]byte, *valueBytes)
			for atomic.LoadInt32(&stage) != over {
				random.Read(value[:min(8, len(value))])
				since := time.Now()
				err := connections[i].put(random.Intn(*keys), value)
				if atomic.LoadInt32(&stage) != measured {
					continue
				}
				if err != nil {
					all[i].errors++
					time.Sleep(100 * time.Millisecond)
				} else {
					all[i].times = append(all[i].times, time.Since(since))
				}
			}
		}(i)
	}
	time.Sleep(*warmUpTime)
	processes := append(strings.Split(*pids, ","), "self")
	before := processorTime(processes)
	began := time.Now()
	atomic.StoreInt32(&stage, measured)
	time.Sleep(*seconds)
	atomic.StoreInt32(&stage, over)
	ended := time.Now()
	used := processorTime(processes) - before
	running.Wait()
	report(all, ended.Sub(began), used, peakMemory(strings.Split(*pids, ",")))
}

func connect(system string, addresses []string, i int) (client, error) {
	address := addresses[i%len(addresses)]
	switch system {
	case "etcd":
		return connectEtcd(address)
	case "zookeeper":
		return connectZooKeeper(address)
	}
	return nil, fmt.Errorf("no such system: %q", system)
}

func report(all []seen, elapsed, used time.Duration, memory int64) {
	var times []time.Duration
	errors := 0
	for _, one := range all {
		times = append(times, one.times...)
		errors += one.errors
	}
	if len(times) == 0 {
		fail("nothing was answered, %d errors", errors)
	}
	sort.Slice(times, func(a, b int) bool { return times[a] < times[b] })
	at := func(quantile float64) int64 {
		return times[min(int(quantile*float64(len(times))), len(times)-1)].Microseconds()
	}
	encoded, err := json.Marshal(result{
		Clients:    len(all),
		Operations: len(times),
		Errors:     errors,
		Throughput: float64(len(times)) / elapsed.Seconds(),
		P50:        at(0.5),
		P90:        at(0.9),
		P99:        at(0.99),
		P999:       at(0.999),
		Max:        times[len(times)-1].Microseconds(),
		CPUMicros:  float64(used.Microseconds()) / float64(len(times)),
		PeakMemory: memory,
	})
	if err != nil {
		fail("%v", err)
	}
	fmt.Println(string(encoded))
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}

func fail(format string, values ...interface{}) {
	fmt.Fprintf(os.Stderr, "load: "+format+"\n", values...)
	os.Exit(1)
}
