// Runs parsed command lines: forks, plumbs, executes, waits.
#include "guest/user/sh/lexer.h"
#include "guest/user/sh/shell.h"
#include "guest/user/ulib/print.h"
#include "guest/user/ulib/string.h"
#include "guest/user/ulib/syscall.h"

namespace sh {
namespace {

constexpr int32_t kStatusCannotRun = 126;
constexpr int32_t kStatusNotFound = 127;

// `text` with the last status in place of each mark; null without memory.
const char* expand(const char* text, int32_t last_status, Arena* arena) {
  if (ulib::find(text, kStatusMark) == nullptr) return text;
  char status[12];
  const uint32_t status_size = ulib::format_to(status, sizeof(status), "%d", last_status);
  char* expanded = static_cast<char*>(arena->take(ulib::length(text) * status_size + 1));
  if (expanded == nullptr) return nullptr;
  char* to = expanded;
  for (; *text != '\0'; ++text) {
    if (*text != kStatusMark) {
      *to++ = *text;
      continue;
    }
    memcpy(to, status, status_size);
    to += status_size;
  }
  return expanded;
}

// The command's words, expanded, as exec wants them; null without memory.
const char** make_argv(const Shell& shell, const Command& command, Arena* arena) {
  auto** argv = static_cast<const char**>(arena->take((command.word_count + 1) * sizeof(char*)));
  if (argv == nullptr) return nullptr;
  uint32_t count = 0;
  for (const Word* word = command.words; word != nullptr; word = word->next) {
    argv[count] = expand(word->text, shell.last_status, arena);
    if (argv[count++] == nullptr) return nullptr;
  }
  return argv;
}

// Makes `to` (0 to 2) a name of what `from` names, and gives `from` up. The lower descriptors are all open, so the
// lowest free one, which dup takes, is `to`.
void move_descriptor(int32_t from, int32_t to) {
  if (from == to) return;
  ulib::close(to);
  const int32_t moved = ulib::dup(from);
  ulib::close(from);
  if (moved != to) ulib::die("sh: descriptor %d moved to %d instead of %d", from, moved, to);
}

void apply_redirects(const Shell& shell, const Redirect* redirect, Arena* arena) {
  for (; redirect != nullptr; redirect = redirect->next) {
    int32_t source;
    if (redirect->path == nullptr) {
      source = ulib::dup(redirect->other_fd);
      if (source < 0) ulib::die("sh: >&%d: %s", redirect->other_fd, ulib::error_text(source));
    } else {
      const char* path = expand(redirect->path, shell.last_status, arena);
      if (path == nullptr) ulib::die("sh: out of memory");
      source = ulib::open(path, redirect->flags);
      if (source < 0) ulib::die("sh: %s: %s", path, ulib::error_text(source));
    }
    move_descriptor(source, redirect->fd);
  }
}

[[noreturn]] void execute(const char* const* argv) {
  char path[256];
  const bool has_folder = ulib::find(argv[0], '/') != nullptr;
  const uint32_t size = ulib::format_to(path, sizeof(path), has_folder ? "%s" : "/bin/%s", argv[0]);
  const int32_t error = size < sizeof(path) ? ulib::exec(path, argv) : -guest_abi::kENoent;
  if (error == -guest_abi::kENoent) {
    ulib::print_to(ulib::kStderr, "sh: %s: command not found\n", argv[0]);
    ulib::exit(kStatusNotFound);
  }
  ulib::print_to(ulib::kStderr, "sh: %s: %s\n", argv[0], ulib::error_text(error));
  ulib::exit(kStatusCannotRun);
}

[[noreturn]] void run_in_child(Shell* shell, const Command& command, Arena* arena) {
  apply_redirects(*shell, command.redirects, arena);
  const char** argv = make_argv(*shell, command, arena);
  if (argv == nullptr) ulib::die("sh: out of memory");
  int32_t status = 0;
  if (run_builtin(shell, argv, &status)) ulib::exit(status);
  execute(argv);
}

// Reaps until all `count` children of `pids` have ended; other children that end meanwhile were background commands.
// Returns the status of the last in `pids`.
int32_t wait_for(const int32_t* pids, uint32_t count) {
  int32_t result = 1;
  uint32_t left = count;
  while (left > 0) {
    int32_t status = 0;
    const int32_t pid = ulib::wait(&status);
    if (pid < 0) return 1;
    for (uint32_t i = 0; i < count; ++i) {
      if (pids[i] != pid) continue;
      --left;
      if (i + 1 == count) result = status;
    }
  }
  return result;
}

// Starts each command with its ends of the pipes between them. Returns how many it could start.
uint32_t start_commands(Shell* shell, const Command* command, Arena* arena, int32_t* pids) {
  uint32_t started = 0;
  int32_t input = ulib::kStdin;
  for (; command != nullptr; command = command->next) {
    int32_t ends[2] = {-1, ulib::kStdout};
    int32_t error = command->next != nullptr ? ulib::pipe(ends) : 0;
    if (error == 0) {
      const int32_t pid = ulib::fork();
      if (pid == 0) {
        if (ends[0] >= 0) ulib::close(ends[0]);
        move_descriptor(input, ulib::kStdin);
        move_descriptor(ends[1], ulib::kStdout);
        run_in_child(shell, *command, arena);
      }
      if (pid > 0) {
        pids[started++] = pid;
      } else {
        error = pid;
      }
    }
    if (input != ulib::kStdin) ulib::close(input);
    if (ends[1] != ulib::kStdout) ulib::close(ends[1]);
    input = ends[0] >= 0 ? ends[0] : ulib::kStdin;
    if (error < 0) {
      ulib::print_to(ulib::kStderr, "sh: cannot start %s: %s\n", command->words->text, ulib::error_text(error));
      break;
    }
  }
  if (input != ulib::kStdin) ulib::close(input);
  return started;
}

int32_t run_pipeline(Shell* shell, const Pipeline& pipeline, Arena* arena) {
  const Command& first = *pipeline.commands;
  if (first.next == nullptr && first.redirects == nullptr && is_builtin(first.words->text)) {
    const char** argv = make_argv(*shell, first, arena);
    int32_t status = 1;
    if (argv != nullptr) run_builtin(shell, argv, &status);
    return status;
  }
  uint32_t count = 0;
  for (const Command* command = &first; command != nullptr; command = command->next) ++count;
  auto* pids = static_cast<int32_t*>(arena->take(count * sizeof(int32_t)));
  if (pids == nullptr) {
    ulib::print_to(ulib::kStderr, "sh: out of memory\n");
    return 1;
  }
  const uint32_t started = start_commands(shell, &first, arena, pids);
  const int32_t status = wait_for(pids, started);
  return started == count ? status : 1;
}

void run_chain(Shell* shell, const Chain& chain, Arena* arena) {
  for (const Pipeline* pipeline = chain.pipelines; pipeline != nullptr; pipeline = pipeline->next) {
    const bool passed = shell->last_status == 0;
    if (pipeline->condition == Condition::kIfPassed && !passed) continue;
    if (pipeline->condition == Condition::kIfFailed && passed) continue;
    shell->last_status = run_pipeline(shell, *pipeline, arena);
  }
}

void run_in_background(Shell* shell, const Chain& chain, Arena* arena) {
  const int32_t pid = ulib::fork();
  if (pid == 0) {
    run_chain(shell, chain, arena);
    ulib::exit(shell->last_status);
  }
  if (pid < 0) ulib::print_to(ulib::kStderr, "sh: cannot start in the background: %s\n", ulib::error_text(pid));
  shell->last_status = pid < 0 ? 1 : 0;
}

}  // namespace

void run_list(Shell* shell, const Chain* list, Arena* arena) {
  for (const Chain* chain = list; chain != nullptr; chain = chain->next) {
    if (chain->background) {
      run_in_background(shell, *chain, arena);
    } else {
      run_chain(shell, *chain, arena);
    }
  }
}

}  // namespace sh
