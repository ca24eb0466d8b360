// pipe: order, blocking, the end of the input, broken pipes, and many processes on one.
#include "guest/user/ulib/file.h"
#include "guest/user/ulib/time.h"
#include "guest/user/usertests/check.h"

namespace usertests {
namespace {

void bytes_in_order() {
  const Pipe pipe = make_pipe();
  char text[8] = {};
  CHECK_EQ(write(pipe.writer, "abc", 3), 3);
  CHECK_EQ(write(pipe.writer, "defg", 4), 4);
  CHECK_EQ(read(pipe.reader, text, 2), 2);
  CHECK_TEXT(text, "ab");
  CHECK_EQ(read(pipe.reader, text, sizeof(text)), 5);
  CHECK_EQ(memcmp(text, "cdefg", 5), 0);
}

void ends_have_directions() {
  const Pipe pipe = make_pipe();
  char byte = 0;
  CHECK_EQ(read(pipe.writer, &byte, 1), -kEBadf);
  CHECK_EQ(write(pipe.reader, &byte, 1), -kEBadf);
  CHECK_EQ(write(pipe.writer, &byte, 0), 0);
  CHECK_EQ(read(pipe.reader, &byte, 0), 0);
}

void end_of_input() {
  const Pipe pipe = make_pipe();
  char byte = 0;
  const int32_t second = dup(pipe.writer);
  CHECK_EQ(write(pipe.writer, "x", 1), 1);
  CHECK_EQ(close(pipe.writer), 0);
  CHECK_EQ(write(second, "y", 1), 1);
  CHECK_EQ(close(second), 0);
  CHECK_EQ(read(pipe.reader, &byte, 1), 1);
  CHECK_EQ(read(pipe.reader, &byte, 1), 1);
  CHECK_EQ(byte, 'y');
  CHECK_EQ(read(pipe.reader, &byte, 1), 0);
  CHECK_EQ(read(pipe.reader, &byte, 1), 0);
}

void broken_pipe() {
  const Pipe pipe = make_pipe();
  CHECK_EQ(close(pipe.reader), 0);
  CHECK_EQ(write(pipe.writer, "x", 1), -kEPipe);
  CHECK_EQ(write(pipe.writer, "x", 1), -kEPipe);
}

void end_comes_with_death() {
  const Pipe pipe = make_pipe();
  const int32_t writer = start([&] { sleep_ticks(INT32_MAX); });
  CHECK_EQ(close(pipe.writer), 0);
  const int32_t killer = start([&] {
    sleep_ticks(3);
    CHECK_EQ(kill(writer), 0);
  });
  char byte = 0;
  CHECK_EQ(read(pipe.reader, &byte, 1), 0);  // blocks until the only writer is killed
  int32_t status = 0;
  for (int i = 0; i < 2; ++i) {
    const int32_t pid = wait(&status);
    CHECK(pid == killer || pid == writer);
  }
}

void blocked_writer_sees_the_break() {
  const Pipe pipe = make_pipe();
  const int32_t pid = start([&] {
    close(pipe.reader);
    char chunk[512] = {};
    int32_t result;
    while ((result = write(pipe.writer, chunk, sizeof(chunk))) > 0) {
    }
    CHECK_EQ(result, -kEPipe);
  });
  CHECK(reaches_state(pid, kProcSleeping));
  close_pipe(pipe);
  CHECK_EQ(status_of_pid(pid), 0);
}

// The buffer's second page does not exist, so the read fails halfway; the room that it made is room all the same.
void half_a_read_wakes_the_writer() {
  const Pipe pipe = make_pipe();
  const int32_t pid = start([&] {
    static char page[kPageSize];  // more than a pipe holds
    CHECK_EQ(write(pipe.writer, page, sizeof(page)), sizeof(page));
  });
  CHECK(reaches_state(pid, kProcSleeping));
  uint8_t* last_page = reserve_pages(1);
  CHECK_EQ(read(pipe.reader, last_page + kPageSize / 2, kPageSize), kPageSize / 2);
  CHECK_EQ(read(pipe.reader, last_page + kPageSize, 1), -kEFault);
  CHECK(reaches_state(pid, kProcZombie));
  CHECK_EQ(status_of_pid(pid), 0);
}

void reader_blocks_until_written() {
  const Pipe pipe = make_pipe();
  const int32_t pid = start([&] { await(pipe.reader); });
  CHECK(reaches_state(pid, kProcSleeping));
  sleep_ticks(2);
  CHECK_EQ(process_info(pid).state, kProcSleeping);
  signal(pipe.writer);
  CHECK_EQ(status_of_pid(pid), 0);
}

uint8_t stream_byte(uint32_t index) {
  return static_cast<uint8_t>(index * 7 + (index >> 8) * 13 + (index >> 16));
}

// Sends `total` bytes from a child, in chunks of `write_size`, reads them in others, and checks each.
void pump(uint32_t total, uint32_t write_size, uint32_t read_size) {
  static uint8_t buffer[16384];
  CHECK(write_size <= sizeof(buffer) && read_size <= sizeof(buffer));
  const Pipe pipe = make_pipe();
  const int32_t pid = start([&] {
    close(pipe.reader);
    for (uint32_t sent = 0; sent < total;) {
      const uint32_t size = write_size < total - sent ? write_size : total - sent;
      for (uint32_t i = 0; i < size; ++i) buffer[i] = stream_byte(sent + i);
      CHECK_EQ(write_all(pipe.writer, buffer, size), 0);
      sent += size;
    }
  });
  CHECK_EQ(close(pipe.writer), 0);
  uint32_t received = 0;
  int32_t got;
  while ((got = read(pipe.reader, buffer, read_size)) > 0) {
    CHECK(static_cast<uint32_t>(got) <= read_size);
    for (uint32_t i = 0; i < static_cast<uint32_t>(got); ++i) CHECK_EQ(buffer[i], stream_byte(received + i));
    received += static_cast<uint32_t>(got);
  }
  CHECK_EQ(got, 0);
  CHECK_EQ(received, total);
  CHECK_EQ(close(pipe.reader), 0);
  CHECK_EQ(status_of_pid(pid), 0);
}

void stream_small() {
  pump(10000, 1000, 333);
  pump(5000, 1, 4096);
  pump(20000, 16384, 64);
}

void stream_big() {
  pump(1 << 20, 16384, 16384);
  pump(1 << 20, 777, 5000);
  pump(100000, 3000, 1);
}

void chain_of_processes() {
  constexpr int kLinks = 8;
  Pipe in = make_pipe();
  const int32_t first = in.writer;
  int32_t pids[kLinks];
  for (int32_t& pid : pids) {
    const Pipe out = make_pipe();
    pid = start([&] {
      close(first);
      uint32_t value = 0;
      CHECK_EQ(read_all(in.reader, &value, sizeof(value)), sizeof(value));
      ++value;
      CHECK_EQ(write(out.writer, &value, sizeof(value)), sizeof(value));
    });
    CHECK_EQ(close(in.reader), 0);
    if (in.writer != first) CHECK_EQ(close(in.writer), 0);
    in = out;
  }
  const uint32_t start_value = 100;
  CHECK_EQ(write(first, &start_value, sizeof(start_value)), sizeof(start_value));
  uint32_t value = 0;
  CHECK_EQ(read_all(in.reader, &value, sizeof(value)), sizeof(value));
  CHECK_EQ(value, start_value + kLinks);
  for (int i = 0; i < kLinks; ++i) CHECK(wait(nullptr) > 0);
}

// Writers write whole short records; a reader must get each whole, whatever the order.
void many_writers() {
  constexpr uint32_t kWriters = 5;
  constexpr uint32_t kRecords = 200;
  struct Record {
    uint32_t writer;
    uint32_t number;
    uint32_t check;
  };
  const Pipe pipe = make_pipe();
  for (uint32_t writer = 0; writer < kWriters; ++writer) {
    start([&] {
      close(pipe.reader);
      for (uint32_t number = 0; number < kRecords; ++number) {
        const Record record{writer, number, writer * 1000003 ^ number};
        CHECK_EQ(write(pipe.writer, &record, sizeof(record)), sizeof(record));
      }
    });
  }
  CHECK_EQ(close(pipe.writer), 0);
  uint32_t next[kWriters] = {};
  Record record;
  while (read_all(pipe.reader, &record, sizeof(record)) == static_cast<int32_t>(sizeof(record))) {
    CHECK(record.writer < kWriters);
    CHECK_EQ(record.check, record.writer * 1000003 ^ record.number);
    CHECK_EQ(record.number, next[record.writer]++);
  }
  for (const uint32_t count : next) CHECK_EQ(count, kRecords);
  int32_t status = 0;
  for (uint32_t i = 0; i < kWriters; ++i) {
    CHECK(wait(&status) > 0);
    CHECK_EQ(status, 0);
  }
}

const Case kCases[] = {
    {"bytes_in_order", bytes_in_order},
    {"ends_have_directions", ends_have_directions},
    {"end_of_input", end_of_input},
    {"broken_pipe", broken_pipe},
    {"end_comes_with_death", end_comes_with_death},
    {"blocked_writer_sees_the_break", blocked_writer_sees_the_break},
    {"half_a_read_wakes_the_writer", half_a_read_wakes_the_writer},
    {"reader_blocks_until_written", reader_blocks_until_written},
    {"stream_small", stream_small},
    {"stream_big", stream_big, Cost::kSlow},
    {"chain_of_processes", chain_of_processes},
    {"many_writers", many_writers, Cost::kSlow},
};

}  // namespace

Section pipes_section() {
  return section("pipes", kCases);
}

}  // namespace usertests
