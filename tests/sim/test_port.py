"""When memory takes and gives what, by hand; that this is the bench's memory, tests/cosim/test_times.py shows."""

from fractions import Fraction

from einsum_cascade.sim.port import MemoryModel, ReadChannel, WriteChannel


def test_bursts_follow_one_another_without_a_gap() -> None:
    """An address of cycle 3 is worked on in 4, and its first beat is on the bus in 5: the last of four in 8.

    Two beats are read ahead, so work on the second burst begins in 6, when its turn is two beats away, and on the third
    in 7. Two addresses wait at most: the third is taken when work on the first has begun, in 5, the fourth in 7.
    """
    channel = ReadChannel(MemoryModel(), 8)
    assert channel.read(3, 4) == (3, 8)
    assert channel.read(4, 1) == (4, 9)
    assert channel.read(5, 2) == (5, 11)
    assert channel.read(6, 1) == (7, 12)


def test_latencies_overlap() -> None:
    """All addresses are taken, and each waits for itself: 10 cycles more for the first burst, none for the next."""
    channel = ReadChannel(MemoryModel(10), 8)
    assert channel.read(3, 2) == (3, 16)
    assert channel.read(4, 2) == (4, 18)
    assert channel.read(40, 1) == (40, 52)


def test_beats_keep_their_distance() -> None:
    """3 bytes a cycle, beats of 8: due every 8/3 cycles from 4 on, in 4, 7, 10 and 12, on the bus a cycle later.

    The next is due at 4 + 4 * 8/3 = 14.67. After a pause, all begins anew: from 102 on, the second is due at 104.67.
    """
    memory = MemoryModel(0, 3)
    assert memory.beat_cycles(8) == Fraction(8, 3)
    channel = ReadChannel(memory, 8)
    assert channel.read(3, 4) == (3, 13)
    assert channel.read(4, 1) == (4, 16)
    assert channel.read(101, 2) == (101, 106)


def test_what_is_written_waits_for_its_turn() -> None:
    """Beats of 8 bytes that come every cycle, 2 bytes a cycle: stored in 21, 25, 29, 33; two beats wait meanwhile.

    The third is taken in 22, when the second has been fetched, and waits for 25; the fifth when the third is fetched,
    in 25, so in 26. A burst is answered in the cycle after its last beat was stored.
    """
    channel = WriteChannel(MemoryModel(0, 2), 8)
    assert channel.take_address(2) == 2
    assert [channel.take_beat(20 + beat) for beat in range(4)] == [20, 21, 22, 23]
    assert channel.answered == 34
    assert channel.take_beat(24) == 26


def test_what_is_written_waits_for_its_address() -> None:
    """Work on a burst begins when its address has come; two of its beats are taken before."""
    channel = WriteChannel(MemoryModel(), 8)
    assert channel.take_address(30) == 30
    assert [channel.take_beat(beat) for beat in (10, 11, 12)] == [10, 11, 32]
    assert channel.answered == 34
