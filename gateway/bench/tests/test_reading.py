"""What is read from the programs that measure, and what becomes of it."""

import unittest
from unittest import mock

from proxybench import callgrind, load, measure, proxies, requirements

WRK = """Running 3s test @ http://127.0.0.1:1/
  1 threads and 50 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     7.50ms    2.10ms  30.12ms   70.00%
    Req/Sec     6.33k     1.00k    8.00k    66.67%
  Latency Distribution
     50%    7.50ms
     75%    8.90ms
     90%   11.00ms
     99%    1.20s
  60000 requests in 3.00s, 15.00MB read
  Socket errors: connect 1, read 2, write 3, timeout 4
  Non-2xx or 3xx responses: 5
Requests/sec:  20000.00
"""

CALLGRIND = """events: Ir
summary: 1000

fn=serve
10 400
cfn=malloc
calls=3 1
10 60
cfn=free
calls=3 1
10 30
cfn=<mimalloc::MiMalloc as core::alloc::GlobalAlloc>::alloc
calls=2 1
10 40

fn=<mimalloc::MiMalloc as core::alloc::GlobalAlloc>::alloc
5 10
cfn=mi_malloc_aligned
calls=2 9
5 30

fn=mi_malloc_aligned
5 10
cfn=mi_heap_malloc_aligned_at
calls=2 9
5 30

fn=posix_memalign
5 10
cfn=malloc
calls=7 9
5 30

totals: 1000
"""


class Wrk(unittest.TestCase):
    def read(self, **options):
        with mock.patch.object(load, "run", return_value=WRK), mock.patch.object(load.machine, "which", return_value="wrk"):
            return load.wrk(1, "/", 50, 3, None, **options)

    def test_all_kinds_of_errors_count(self):
        self.assertEqual(self.read().errors, 1 + 2 + 3 + 4 + 5)

    def test_times_have_units(self):
        found = self.read()
        self.assertEqual((found.requests, found.seconds, found.p50_ms, found.p99_ms), (60000, 3.0, 7.5, 1200.0))

    def test_large_bodies_count_by_bytes(self):
        self.assertEqual(self.read(body_bytes=10 << 20).requests, 1.5)


class Callgrind(unittest.TestCase):
    def test_calls_within_an_allocator_do_not_count(self):
        self.assertEqual(callgrind.read(CALLGRIND.splitlines(True)), callgrind.Counts(instructions=1000, heap_calls=3 + 2))

    def test_what_is_called_is_not_the_callers_own(self):
        self.assertEqual(callgrind.read(CALLGRIND.splitlines(True)).by_function["serve"], 400)


def sample(cpu, p99=1.0):
    return measure.Sample(1000.0, cpu, 0.5, p99, 10.0, 0)


class Rows(unittest.TestCase):
    def row(self, ours, nginx):
        scenario = mock.Mock()
        scenario.name = "plain"
        samples = {(50, proxies.NGINX): nginx, (50, proxies.FULL): ours}
        return measure.row(scenario, 1, 50, proxies.FULL, samples, {})

    def test_ratios_are_taken_within_a_round(self):
        # The machine was twice as slow in the second round, for both.
        row = self.row([sample(20), sample(40), sample(21)], [sample(20), sample(40), sample(20)])
        self.assertEqual(row.ratio_to_nginx, 1.0)

    def test_a_round_in_which_one_failed_gives_no_ratio(self):
        row = self.row([None, sample(30)], [sample(10), sample(10)])
        self.assertEqual((row.ratio_to_nginx, row.rounds), (3.0, 1))

    def test_nothing_measured_is_nothing_that_holds(self):
        row = self.row([None], [sample(10)])
        found = requirements.of({"rows": [row.as_json()]})
        self.assertTrue(found)
        self.assertFalse(any(one.holds for one in found if "CPU" in one.text))

    def test_the_limit_depends_on_the_number_of_workers(self):
        row = self.row([sample(10.5)], [sample(10)]).as_json()
        verdict = lambda workers: [one.holds for one in requirements.of({"rows": [{**row, "workers": workers}]})]
        self.assertEqual((verdict(1), verdict(2)), ([False], [True]))


if __name__ == "__main__":
    unittest.main()
