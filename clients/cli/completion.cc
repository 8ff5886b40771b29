// engram completion: scripts for bash, zsh and fish, made from the options themselves. Names of spaces are asked of the
// daemon while one types, with a short timeout and in silence.
#include <fmt/format.h>

#include <string>
#include <vector>

#include "clients/cli/session.h"

namespace engram {
namespace {

std::string Joined(const std::vector<std::string>& words) { return fmt::format("{}", fmt::join(words, " ")); }

// In single quotes for any of the shells.
std::string Quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// Commands directly below `parent`.
std::vector<std::string> Below(const std::vector<OfferedCommand>& commands, const std::string& parent) {
  std::vector<std::string> out;
  const std::string prefix = parent.empty() ? "" : parent + " ";
  for (const OfferedCommand& command : commands) {
    if (command.name.empty() || command.name.compare(0, prefix.size(), prefix) != 0) continue;
    const std::string rest = command.name.substr(prefix.size());
    if (!rest.empty() && rest.find(' ') == std::string::npos) out.push_back(rest);
  }
  return out;
}

// The bash function also serves zsh, through its bashcompinit.
std::string BashFunction(const std::vector<OfferedCommand>& commands) {
  std::string out = R"(_engram_spaces() {
  engram spaces list --names --timeout 1s ${_engram_address:+--address "$_engram_address"} 2>/dev/null
}
_engram() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command="" places=0 i word
  local _engram_address="" takes_value=0
  for ((i = 1; i < COMP_CWORD; ++i)); do
    word=${COMP_WORDS[i]}
    if [[ $takes_value == 1 ]]; then
      [[ ${COMP_WORDS[i-1]} == --address ]] && _engram_address=$word
      takes_value=0
      continue
    fi
    case $word in
)";
  std::vector<std::string> with_value;
  for (const OfferedCommand& command : commands) {
    for (const OfferedCommand::Option& option : command.options) {
      if (option.takes_value && !option.name.empty()) with_value.push_back(option.name);
    }
  }
  out += fmt::format("      {}) takes_value=1 ;;\n", fmt::join(with_value, "|"));
  out += "      -*) ;;\n      *)\n        case \"$command $word\" in\n";
  for (const OfferedCommand& command : commands) {
    if (command.name.empty()) continue;
    const std::string full = command.name.find(' ') == std::string::npos ? " " + command.name : command.name;
    out += fmt::format("          {}) command={} ;;\n", Quoted(full), Quoted(command.name));
  }
  out += R"(          *) places=$((places + 1)) ;;
        esac ;;
    esac
  done
  local words="" files=0
  case "$command:$previous" in
)";
  for (const OfferedCommand& command : commands) {
    for (const OfferedCommand::Option& option : command.options) {
      if (option.name.empty() || !option.takes_value) continue;
      const std::string answer = !option.words.empty() ? fmt::format("words={}", Quoted(Joined(option.words)))
                                 : option.takes_file   ? "files=1"
                                                       : ":";
      // Options of the program itself work after every command.
      out += fmt::format("    {}:{}) {} ;;\n", command.name.empty() ? "*" : Quoted(command.name), option.name, answer);
    }
  }
  out += "    *)\n      case \"$command\" in\n";
  std::vector<std::string> global;
  for (const OfferedCommand& command : commands) {
    std::vector<std::string> options = global, words = Below(commands, command.name);
    for (const OfferedCommand::Option& option : command.options) {
      if (option.name.empty()) {
        words.insert(words.end(), option.words.begin(), option.words.end());
      } else {
        options.push_back(option.name);
      }
    }
    if (command.name.empty()) global = options;
    out += fmt::format("        {})\n          if [[ $current == -* ]]; then words={}\n", Quoted(command.name),
                       Quoted(Joined(options)));
    if (command.takes_space) out += "          elif [[ $places == 0 ]]; then words=$(_engram_spaces)\n";
    if (command.takes_file) {
      out += fmt::format("          elif [[ $places -ge {} ]]; then files=1\n", command.takes_space ? 1 : 0);
    }
    if (!words.empty()) out += fmt::format("          else words={}\n", Quoted(Joined(words)));
    out += "          fi ;;\n";
  }
  return out + R"(      esac ;;
  esac
  COMPREPLY=()
  if [[ $files == 1 ]]; then
    compopt -o filenames 2>/dev/null
    while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$current")
  else
    while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -W "$words" -- "$current")
  fi
}
)";
}

std::string FishScript(const std::vector<OfferedCommand>& commands) {
  std::string out = R"(function __engram_spaces
  engram spaces list --names --timeout 1s 2>/dev/null
end
complete -c engram -f
)";
  for (const OfferedCommand& command : commands) {
    const size_t space = command.name.find(' ');
    const std::string parent = space == std::string::npos ? "" : command.name.substr(0, space);
    const std::string own = space == std::string::npos ? command.name : command.name.substr(space + 1);
    std::string here;
    if (!command.name.empty()) {
      out += fmt::format(
          "complete -c engram -n {} -a {} -d {}\n",
          parent.empty() ? "__fish_use_subcommand"
                         : Quoted(fmt::format("__fish_seen_subcommand_from {}; and not __fish_seen_subcommand_from {}",
                                              parent, Joined(Below(commands, parent)))),
          Quoted(own), Quoted(command.help));
      here = " -n " + Quoted((parent.empty() ? "" : fmt::format("__fish_seen_subcommand_from {}; and ", parent)) +
                             "__fish_seen_subcommand_from " + own);
    }
    if (command.takes_space) out += fmt::format("complete -c engram{} -a '(__engram_spaces)'\n", here);
    if (command.takes_file) out += fmt::format("complete -c engram{} -F\n", here);
    for (const OfferedCommand::Option& option : command.options) {
      if (option.name.empty()) {
        out += fmt::format("complete -c engram{} -a {}\n", here, Quoted(Joined(option.words)));
        continue;
      }
      const bool is_long = option.name.compare(0, 2, "--") == 0;
      out += fmt::format("complete -c engram{} -{} {} -d {}", here, is_long ? "l" : "s",
                         option.name.substr(is_long ? 2 : 1), Quoted(option.help));
      if (option.takes_value) out += option.takes_file ? " -rF" : " -x";
      if (!option.words.empty()) out += " -a " + Quoted(Joined(option.words));
      out += "\n";
    }
  }
  return out;
}

}  // namespace

std::string CompletionScript(const std::string& shell) {
  const std::vector<OfferedCommand> commands = OfferedCommands();
  if (shell == "fish") return FishScript(commands);
  if (shell == "bash") return BashFunction(commands) + "complete -F _engram engram\n";
  return "#compdef engram\nautoload -U +X bashcompinit && bashcompinit\n" + BashFunction(commands) +
         "complete -F _engram engram\n";
}

}  // namespace engram
