package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
)

// One measurement: its place in the table, the system, and what was printed by it.
type line struct {
	place  string
	system string
	run    result
}

// What 'quorate bench -o json' prints, as far as it is needed.
type quorateReport struct {
	Runs []struct {
		Clients    int     `json:"clients"`
		Operations int     `json:"operations"`
		Throughput float64 `json:"throughput"`
		Latency    struct {
			P50, P90, P99, P999, Max int64
		} `json:"latency_us"`
		Errors    map[string]int `json:"errors"`
		CPUMicros float64        `json:"cpu_us_per_operation"`
		Replicas  []struct {
			PeakMemory int64 `json:"peak_memory_bytes"`
		} `json:"replicas"`
	} `json:"runs"`
}

// The first system is the one that the others are compared with.
var systems = []string{"quorate", "quorate-one", "etcd", "zookeeper"}

// Reads lines of a place, a system and an object, separated by tabulators, and prints for
// each place and system the median of all repetitions and the range, and the ratio of
// Quorate's median to it.
func summarise(path string) {
	lines, places := read(path)
	fmt.Println("| load | system | writes/s (range) | against it | p50 ms (range) | p99 ms (range) | CPU µs a write | memory MiB | errors |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, place := range places {
		var ours float64
		for _, system := range systems {
			runs := of(lines, place, system)
			if len(runs) == 0 {
				continue
			}
			rate := column(runs, func(run result) float64 { return run.Throughput })
			if system == systems[0] {
				ours = median(rate)
			}
			errors := 0
			for _, run := range runs {
				errors += run.Errors
			}
			ratio := "-"
			if system != systems[0] && ours > 0 {
				ratio = fmt.Sprintf("%.2f", ours/median(rate))
			}
			fmt.Printf("| %s | %s | %s | %s | %s | %s | %.0f | %.0f | %d |\n",
				place, system, spread(rate, "%.0f"), ratio,
				spread(column(runs, func(run result) float64 { return float64(run.P50) / 1e3 }), "%.2f"),
				spread(column(runs, func(run result) float64 { return float64(run.P99) / 1e3 }), "%.2f"),
				median(column(runs, func(run result) float64 { return run.CPUMicros })),
				median(column(runs, func(run result) float64 { return float64(run.PeakMemory) / (1 << 20) })),
				errors)
		}
	}
}

func read(path string) ([]line, []string) {
	file, err := os.Open(path)
	if err != nil {
		fail("%v", err)
	}
	defer file.Close()
	var lines []line
	var places []string
	seen := map[string]bool{}
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		fields := strings.SplitN(scanner.Text(), "\t", 3)
		if len(fields) != 3 {
			continue
		}
		run, err := parse(fields[1], []byte(fields[2]))
		if err != nil {
			fail("%s, %s: %v", fields[0], fields[1], err)
		}
		if !seen[fields[0]] {
			seen[fields[0]] = true
			places = append(places, fields[0])
		}
		lines = append(lines, line{fields[0], fields[1], run})
	}
	return lines, places
}

func parse(system string, encoded []byte) (result, error) {
	if !strings.HasPrefix(system, "quorate") {
		var run result
		err := json.Unmarshal(encoded, &run)
		return run, err
	}
	var report quorateReport
	if err := json.Unmarshal(encoded, &report); err != nil {
		return result{}, err
	}
	if len(report.Runs) != 1 {
		return result{}, fmt.Errorf("%d runs where one belongs", len(report.Runs))
	}
	run := report.Runs[0]
	converted := result{
		Clients: run.Clients, Operations: run.Operations, Throughput: run.Throughput,
		P50: run.Latency.P50, P90: run.Latency.P90, P99: run.Latency.P99,
		P999: run.Latency.P999, Max: run.Latency.Max, CPUMicros: run.CPUMicros,
	}
	for _, count := range run.Errors {
		converted.Errors += count
	}
	for _, replica := range run.Replicas {
		if replica.PeakMemory > converted.PeakMemory {
			converted.PeakMemory = replica.PeakMemory
		}
	}
	return converted, nil
}

func of(lines []line, place, system string) []result {
	var runs []result
	for _, one := range lines {
		if one.place == place && one.system == system {
			runs = append(runs, one.run)
		}
	}
	return runs
}

func column(runs []result, value func(result) float64) []float64 {
	values := make([]float64, len(runs))
	for i, run := range runs {
		values[i] = value(run)
	}
	sort.Float64s(values)
	return values
}

func median(sorted []float64) float64 {
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

func spread(sorted []float64, format string) string {
	return fmt.Sprintf(format+" ("+format+" to "+format+")", median(sorted), sorted[0], sorted[len(sorted)-1])
}
